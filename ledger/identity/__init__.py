"""Who somebody is: names as they may be written, keys as OpenSSH knows them, signatures over what was decided."""
