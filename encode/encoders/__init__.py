"""The encoders, one module each, and the networks behind them."""
