"""Notification: who is told of an alert, when, by which channel, until somebody acknowledges it.

hours       times of day: quiet hours, and those in which a policy applies
recipients  who can be told, and how
policies    who is told of what, step by step
planner     alert and policy to deliveries; pure
bundling    deliveries to messages, bounded for each recipient; pure
facts       what an alert is about, read from the store
wording     messages in words
directory   recipients and policies, kept and changed on record
ledger      deliveries and messages, kept
channels    how messages leave: a signed webhook, mail, whatever Apprise reaches
guard       nothing reaches a private address that is not allowed by name
worker      plans, sends, tries again
"""
