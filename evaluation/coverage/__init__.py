"""What is missing?"""
