"""Proof that the record is complete and unaltered: heads signed each day, exports, what was removed, verification.

All of it can be checked by somebody who is not the hub.
"""
