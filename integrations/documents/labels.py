"""The fixed words of documents in each language that we have; a new language is one more table here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """All fixed words of a document, in one language. Those with `{...}` take a value."""

    receipt: str
    invoice: str
    credit_note: str
    seller: str
    buyer: str
    number: str
    issued: str
    order: str
    corrects: str
    """`{number}`."""
    vat_id: str
    description: str
    quantity: str
    unit_price: str
    discount: str
    net: str
    tax: str
    vat: str
    amount: str
    subtotal: str
    net_total: str
    total: str
    total_credited: str
    tax_summary: str
    rate: str
    taxable: str
    payment: str
    refund: str
    paid: str
    """`{date}`, `{method}`."""
    refunded: str
    """`{date}`, `{method}`."""
    notes: str
    reverse_charge: str
    reverse_charge_eu: str
    """The sentence for a buyer in the EU."""
    reverse_charge_gb: str
    """The sentence for a buyer in the United Kingdom."""
    card: str
    """`{reference}`."""
    store_credit: str
    disputed: str
    """A sentence; `{reference}`."""
    returned: str
    """A sentence; `{reference}`."""
    refund_canceled: str
    """A sentence; `{reference}`."""
    currency_note: str
    """`{currency}`."""
    page: str
    """`{page}`, `{pages}`."""


ENGLISH = Labels(
    receipt="Receipt",
    invoice="Invoice",
    credit_note="Credit note",
    seller="From",
    buyer="Billed to",
    number="Number",
    issued="Date of issue",
    order="Order",
    corrects="Corrects {number}",
    vat_id="VAT ID",
    description="Description",
    quantity="Qty",
    unit_price="Unit price",
    discount="Discount",
    net="Net",
    tax="Tax",
    vat="VAT",
    amount="Amount",
    subtotal="Subtotal",
    net_total="Total excl. tax",
    total="Total",
    total_credited="Total credited",
    tax_summary="Tax summary",
    rate="Rate",
    taxable="Taxable",
    payment="Payment",
    refund="Refund",
    paid="Paid on {date}: {method}",
    refunded="Refunded on {date}: {method}",
    notes="Notes",
    reverse_charge="reverse charge",
    reverse_charge_eu=(
        "Reverse charge: the recipient accounts for the VAT "
        "(Articles 44 and 196 of Council Directive 2006/112/EC)."
    ),
    reverse_charge_gb="Reverse charge: the recipient accounts for the VAT (VAT Act 1994, section 8).",
    card="Card, {reference}",
    store_credit="Store credit",
    disputed="The payment was taken back by the customer's bank (dispute {reference}).",
    returned="The payment was returned by the customer's bank ({reference}).",
    refund_canceled="The refund {reference} was not carried out: the payment stands.",
    currency_note="All amounts in {currency}",
    page="Page {page} of {pages}",
)

GERMAN = Labels(
    receipt="Zahlungsbeleg",
    invoice="Rechnung",
    # Not "Gutschrift": in German tax law that is an invoice which the buyer issues.
    credit_note="Rechnungskorrektur",
    seller="Von",
    buyer="Rechnung an",
    number="Nummer",
    issued="Ausstellungsdatum",
    order="Bestellung",
    corrects="Korrigiert {number}",
    vat_id="USt-IdNr.",
    description="Beschreibung",
    quantity="Menge",
    unit_price="Einzelpreis",
    discount="Rabatt",
    net="Netto",
    tax="Steuer",
    vat="USt.",
    amount="Betrag",
    subtotal="Zwischensumme",
    net_total="Summe netto",
    total="Gesamtbetrag",
    total_credited="Gutgeschrieben",
    tax_summary="Steuer nach Sätzen",
    rate="Satz",
    taxable="Nettobetrag",
    payment="Zahlung",
    refund="Erstattung",
    paid="Bezahlt am {date}: {method}",
    refunded="Erstattet am {date}: {method}",
    notes="Hinweise",
    reverse_charge="Steuerschuldnerschaft des Leistungsempfängers",
    reverse_charge_eu=(
        "Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge, Artikel 44 und 196 der Richtlinie "
        "2006/112/EG)."
    ),
    reverse_charge_gb=(
        "Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge, VAT Act 1994, Abschnitt 8)."
    ),
    card="Karte, {reference}",
    store_credit="Guthaben",
    disputed="Die Zahlung wurde von der Bank des Kunden zurückgebucht (Vorgang {reference}).",
    returned="Die Zahlung wurde von der Bank des Kunden zurückgegeben ({reference}).",
    refund_canceled="Die Erstattung {reference} wurde nicht ausgeführt: Die Zahlung bleibt bestehen.",
    currency_note="Alle Beträge in {currency}",
    page="Seite {page} von {pages}",
)

FRENCH = Labels(
    receipt="Reçu",
    invoice="Facture",
    credit_note="Avoir",
    seller="De",
    buyer="Facturé à",
    number="Numéro",
    issued="Date d’émission",
    order="Commande",
    corrects="Corrige {number}",
    vat_id="N° TVA",
    description="Désignation",
    quantity="Qté",
    unit_price="Prix unitaire",
    discount="Remise",
    net="HT",
    tax="Taxe",
    vat="TVA",
    amount="Montant",
    subtotal="Sous-total",
    net_total="Total HT",
    total="Total TTC",
    total_credited="Total de l’avoir",
    tax_summary="Taxes par taux",
    rate="Taux",
    taxable="Base HT",
    payment="Paiement",
    refund="Remboursement",
    paid="Payé le {date} : {method}",
    refunded="Remboursé le {date} : {method}",
    notes="Remarques",
    reverse_charge="autoliquidation",
    reverse_charge_eu=(
        "Autoliquidation : la TVA est due par le preneur (articles 44 et 196 de la directive 2006/112/CE)."
    ),
    reverse_charge_gb="Autoliquidation : la TVA est due par le preneur (VAT Act 1994, section 8).",
    card="Carte, {reference}",
    store_credit="Avoir client",
    disputed="Le paiement a été repris par la banque du client (litige {reference}).",
    returned="Le paiement a été rejeté par la banque du client ({reference}).",
    refund_canceled="Le remboursement {reference} n’a pas été effectué : le paiement reste acquis.",
    currency_note="Tous les montants en {currency}",
    page="Page {page} sur {pages}",
)

LABELS = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH}


def labels_of(locale: str) -> Labels:
    """The words for a locale such as `de_AT`; English where we have no translation."""
    return LABELS.get(locale.replace("-", "_").partition("_")[0], ENGLISH)
