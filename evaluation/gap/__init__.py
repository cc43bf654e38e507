"""How far from real?"""
