"""The built-in set: short messages to a shop's support, by what the customer wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TEMPLATES: Mapping[str, Sequence[str]] = {
    "cancel": (
        "Please cancel order {order}, I ordered the {product} by mistake.",
        "I want to cancel my order {order} before it ships.",
        "Can you stop order {order}? I found the {product} closer to home.",
        "Cancel the {product} please. The order number is {order}. Thanks, {name}",
        "Hello, my name is {name} and I would like to cancel what I ordered on {date}.",
    ),
    "delivery": (
        "Where is my {product}? Order {order} should have arrived on {date}.",
        "Order {order} says delivered, but nothing came to {city}.",
        "My parcel with the {product} has been stuck in {city} since {date}.",
        "Could you send order {order} to {city} instead? Regards, {name}",
        "The courier left my {product} with a neighbour in {city} and nobody knows with whom.",
    ),
    "invoice": (
        "I need an invoice for order {order}, made out to {company}.",
        "The invoice of {date} shows {amount}, but I paid less for the {product}.",
        "Please send the invoice for {order} to {email}.",
        "{company} needs a receipt with tax for the {product} bought on {date}.",
        "Why was {amount} charged twice for order {order}?",
    ),
    "login": (
        "I cannot log in with {email}, the reset mail never arrives.",
        "My account {email} is locked since {date}.",
        "The password reset for {email} shows an error. Can you help? {name}",
        "I changed my address to {email} and now I cannot sign in.",
        "Two-step sign-in does not accept my code. My user name is {email}.",
    ),
    "refund": (
        "I returned the {product} on {date} and still wait for {amount}.",
        "Please refund {amount} for order {order}, the {product} arrived broken.",
        "The {product} is not what I expected. How do I get my money back?",
        "Refund for {order} please. You can reach me at {email}.",
        "Hi, {name} here. You promised to pay back {amount} by {date}.",
    ),
}

SLOTS: Mapping[str, Sequence[str] | Mapping[str, object]] = {
    "amount": {"faker": "numerify", "text": "%#.## EUR"},
    "city": {"faker": "city"},
    "company": {"faker": "company"},
    "date": {"date_range": ["2025-01-01", "2025-12-31"], "format": "%d %B"},
    "email": {"faker": "ascii_safe_email"},
    "name": {"faker": "name"},
    "order": {"faker": "bothify", "text": "??-######", "letters": "ABCDEFGHJKLMNPRSTUVWXYZ"},
    "product": (
        "coffee grinder",
        "desk lamp",
        "garden chair",
        "headphones",
        "kettle",
        "mountain bike helmet",
        "rain jacket",
        "running shoes",
        "smart watch",
        "standing desk",
        "tent for two",
        "wireless keyboard",
    ),
}
