"""Pages for quality staff: the queue of breaches, a breach, what was measured over weeks, and how well it goes."""
