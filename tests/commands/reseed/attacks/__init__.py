"""What an attacker who writes the remote or the folder tries: none of it moves a baseline unseen."""
