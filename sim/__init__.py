"""What if there is no reactor?"""
