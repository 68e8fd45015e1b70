"""What do I type, what do I import?"""
