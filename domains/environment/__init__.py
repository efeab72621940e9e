"""The environment domain 生态环境."""
