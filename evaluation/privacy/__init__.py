"""Does it leak?"""
