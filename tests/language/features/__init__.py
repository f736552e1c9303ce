"""Programs, one for each feature of the language. test_features.py runs them."""
