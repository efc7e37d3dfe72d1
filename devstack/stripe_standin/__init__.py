"""A stand-in for Stripe: a server of its own that speaks Stripe's API to the unmodified official SDK.

It knows test payment methods only, moves no money and opens one account for every `sk_test_...` key.
`python -m devstack.stripe_standin --help` starts it; `GET /_test/` documents its buttons.
"""
