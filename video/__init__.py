"""MEMO: audio-driven talking video."""
