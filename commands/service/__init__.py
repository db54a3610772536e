"""The webhook receiver: takes what GitHub and Buildkite send, and acknowledges what is in the log."""
