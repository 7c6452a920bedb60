"""The Redis/Valkey adapter: counters, bitmaps and streams behind the ports."""
