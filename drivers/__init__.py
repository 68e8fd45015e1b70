"""How do we touch the outside world?"""
