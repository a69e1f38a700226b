"""Image addresses."""

from flawsmith.core.domain.addresses import Address, seeded

CLASSES = ["dents", "pits", "scratches"]


def test_a_seeds_type_is_the_same_alone_and_among_hundreds() -> None:
    many = seeded(CLASSES, None, 0, 200)
    assert all(seeded(CLASSES, None, address.seed, 1) == [address] for address in many)
    assert {address.defect_type for address in many[:3]} == set(CLASSES)


def test_an_address_comes_back_from_its_text() -> None:
    address = Address("edge: left\u00fc", 2**53 - 1)
    assert Address.parse(str(address)) == address
