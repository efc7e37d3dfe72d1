"""The payout receiver: stands in for the payout system that takes our signed events and pays payees.

POST /webhooks/commerce     signed events, stored once by `webhook-id`, in order of arrival
GET  /                      a page for people
GET  /healthz
GET  /_test/events?type=&stream=, /_test/attempts?webhook_id=, /_test/payees, /_test/streams,
     /_test/settlements, /_test/deliveries?event_id=
POST /_test/settle {payee_ref, currency, amount}        sends a signed `payout.settled`
GET, POST, DELETE /_test/faults                         members as in `faults.Fault`
GET, PUT /_test/chaos                                   of the webhooks it sends
PUT  /_test/secrets {secrets?, webhook_url?, webhook_secret?}
POST /_test/reset
"""
