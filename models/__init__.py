"""What do the organism and the vessel do?"""
