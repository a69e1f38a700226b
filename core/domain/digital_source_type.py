"""What made an image, in the words of the IPTC, and the XMP packet that says so inside the image's file.

https://cv.iptc.org/newscodes/digitalsourcetype lists the terms; article 50(2) of the EU AI Act asks for such a mark.
"""

from typing import Literal, get_args
from xml.sax.saxutils import escape

DigitalSourceType = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeCapture"]
"""Terms of the IPTC: made by a trained model; composed of such media and others; composed of photographs."""

GENERATED: DigitalSourceType = "trainedAlgorithmicMedia"
COMPOSED: DigitalSourceType = "compositeCapture"  # every part is of a photograph

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""{namespaces}>
{properties}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_DESCRIPTION = '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description>'


def term_url(source_type: DigitalSourceType) -> str:
    """The term as IPTC's property DigitalSourceType has it: a URL."""
    return _TERMS + source_type


def source_type_of(url: str) -> DigitalSourceType:
    """The term of such a URL. Raises KeyError for another one."""
    terms: dict[str, DigitalSourceType] = {term_url(each): each for each in get_args(DigitalSourceType)}
    return terms[url]


def xmp_packet(source_type: DigitalSourceType | None = None, description: str | None = None) -> str:
    """An XMP packet (ISO 16684-1) with these properties."""
    namespaces, properties = "", []
    if description is not None:
        namespaces += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        properties.append(_DESCRIPTION.format(escape(description)))
    if source_type is not None:
        namespaces += ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        properties.append(f"<Iptc4xmpExt:DigitalSourceType>{term_url(source_type)}</Iptc4xmpExt:DigitalSourceType>")
    return _PACKET.format(namespaces=namespaces, properties="\n".join(properties))
