"""Sharing, against real servers: a Hub, an S3 server, a folder."""
