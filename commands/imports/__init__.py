"""`perfledger import`: bring an existing history in."""
