"""Does it help?"""
