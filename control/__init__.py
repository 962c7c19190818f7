"""The contract between a product backend and the media daemon, and the SDK that speaks it."""
