"""The sync commands and what uploads and imports do with a Hub."""
