"""Hand-in by a one-time code: whoever brings a box has no account, states what is in it, and the code is used up."""
