def grammar_schema():
    return {}
