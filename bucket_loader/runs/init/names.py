"""Names of columns and files as words: case, blanks and the wrapping of exports taken away, so that they compare."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

# What tools wrap the name of a property in: `context_traits_plan`, `properties.plan`, `plan (metadata)`, `Plan__c`.
_BEFORE: Final = re.compile(
    r"(?:(?:properties|property|props|(?:event|user|group|person|super)_properties|traits|context|metadata_(?:agent|auto)|metadata|"
    r"meta|(?:custom_|app_|user_)?(?:attributes|metadata)|custom_fields|(?:user|organization)_fields|data|payload|"
    r"hidden)_)+(?=.)"
)
_AFTER: Final = re.compile(r"(?<=.)_(metadata|custom|hidden_field|hidden|(?:dim|fct|fact)_[a-z_]+)$")
# BI tools write the table before a column: `Users User ID`, `users.id`, `dim_user.user_id`.
_TABLE: Final = re.compile(
    r"(?:dim_|fct_|fact_)?(?:(?P<one>user|account|company|organi[sz]ation|workspace|contact|customer|event)|"
    r"(?P<many>users|accounts|companies|organi[sz]ations|workspaces|contacts|customers|events))_(?P<rest>.+)"
)
# Words of other languages, by what they mean; those that are another word of English are not among them.
_ENGLISH: Final[Mapping[str, str]] = {
    word: meaning
    for meaning, listed in {
        "user": "benutzer nutzer anwender utilisateur utilisatrice usuario utente gebruiker bruger anvandare bruker "
        "usuarios utenti utilisateurs brugere",
        "customer": "kunde kunden cliente clientes clienti klant klanten kunder",
        "company": "firma firmen unternehmen entreprise entreprises societe empresa empresas azienda bedrijf "
        "virksomhed foretag organisatie",
        "account": "konto konten compte comptes cuenta cuentas",
        "event": "ereignis ereignisse evenement evenements evento eventos eventi handelse haendelse",
        "id": "identifiant identificador identificativo kennung",
        "number": "nummer numero",
        "name": "nom nombre nome naam navn namn",
        "timestamp": "zeitstempel zeitpunkt horodatage tidspunkt",
        "date": "datum fecha dato",
        "email": "courriel correo mailadresse",
        "first_name": "vorname prenom fornavn fornamn voornaam",
        "last_name": "nachname familienname apellido apellidos cognome achternaam efternavn etternavn efternamn",
        "phone": "telefon telefono telefonnummer telefoon mobiltelefon",
        "address": "adresse direccion indirizzo adres anschrift",
        "street": "strasse rue calle straat gade",
        "postcode": "plz postleitzahl",
        "city": "stadt ort ville ciudad citta plaats",
        "contact": "ansprechpartner kontakt contacto contatto contactpersoon",
        "comment": "kommentar kommentare commentaire commentaires comentario comentarios commento commenti opmerking",
        "contract": "vertrag contrat contrato contratto",
        "record": "datensatz enregistrement registro",
        "action": "aktion accion azione",
        "activity": "aktivitat aktivitaet aktivitaten activite actividad attivita",
        "count": "anzahl cantidad quantita",
        "score": "bewertung punktzahl puntuacion punteggio beoordeling",
        "birth": "geburtsdatum geburtstag naissance nacimiento",
    }.items()
    for word in listed.split()
}
_SHORT: Final = 5  # a word of so many letters may be another one of English with an s
_SECOND: Final[Mapping[str, str]] = {
    "nummer": "number", "nr": "number", "name": "name", "id": "id", "liste": "list", "kennung": "id",
}  # fmt: skip
_TWO_IN_ONE: Final = re.compile(rf"([a-z]+?)({'|'.join(_SECOND)})")
_ID_FIRST: Final = re.compile(r"id_(?:(?:de|del|de_la|d|di|do|da|des|du|of|of_the)_)?([a-z]+)")


def _in_english(words: str) -> str:
    """Return words with those of other languages in English, and an `id_user` as a `user_id`."""
    known = "_".join(map(_word_in_english, words.split("_")))
    swapped = _ID_FIRST.fullmatch(known)
    whose = _ENGLISH.get(f"{swapped[1]}e", swapped[1]) if swapped else ""  # a French `client` is a `cliente` of Spain
    return f"{whose}_id" if whose in _ENGLISH.values() else known


def _word_in_english(word: str) -> str:
    """Return a word in English, also one of two in one as German has them: `kundennummer` is a `customer_number`."""
    whole = _ENGLISH.get(word) or (_ENGLISH.get(word.removesuffix("s")) if len(word) > _SHORT else None)
    parts = _TWO_IN_ONE.fullmatch(word)
    first = _ENGLISH.get(parts[1]) or _ENGLISH.get(parts[1].removesuffix("s")) if parts else None
    return whole or (f"{first}_{_SECOND[parts[2]]}" if parts and first else word)


def words_of(name: str) -> str:
    """Return a name in lower case with `_` between its words: `User ID`, `userId` and `$user_id` are `user_id`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.removesuffix("__c"))
    plain = unicodedata.normalize("NFKD", apart.replace("ß", "ss").replace("ø", "o").replace("æ", "ae"))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return _in_english(re.sub(r"[^a-z0-9#]+", "_", bare.lower()).strip("_"))


def unwrapped(words: str) -> str:
    """Return words without what tools wrap the name of a property in."""
    bare = _AFTER.sub("", _BEFORE.sub("", words)) or words
    table = _TABLE.fullmatch(bare)
    if table is None:
        return bare
    one = table["one"] or _singular(table["many"])
    is_again = table["rest"].startswith(f"{one}_")
    return table["rest"] if is_again else f"{one}_id" if table["many"] and table["rest"] == "id" else bare


def tokens_of(words: str) -> tuple[str, ...]:
    """Return the words one by one, in the singular."""
    return tuple(map(_singular, words.split("_")))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[:-3] + "y"
    is_plural = word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > len("ads")
    return word.removesuffix("s") if is_plural else word
