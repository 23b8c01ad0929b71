"""Judgement: what changed is judged anew; verdicts and breaches are kept in line with the record."""
