"""CAP alerts as a weather bureau sends them, to be changed by tests."""

INFO = """<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>
<severity>Severe</severity><certainty>Likely</certainty><headline>暴雨橙色预警</headline>
<parameter><valueName>warning_colour</valueName><value>橙色</value></parameter>
<parameter><valueName>incident_grade</valueName><value>Ⅱ</value></parameter>
<area><areaDesc>梅江区</areaDesc><polygon>24.0,116.0 24.0,116.1 24.1,116.1 24.1,116.0 24.0,116.0</polygon>
<geocode><valueName>GB/T 2260</valueName><value>441402</value></geocode></area></info>"""


def alert(
    body: str = INFO,
    begin: str = '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">',
    end: str = "</alert>",
    **other: str | None,
) -> str:
    """An alert whose elements have other texts, or are left out."""
    texts = {
        "identifier": "MZ-20261122-1",
        "sender": "qx@meizhou.example",
        "sent": "2026-11-22T08:00:00+08:00",
        "status": "Actual",
        "msgType": "Alert",
        "scope": "Public",
    } | other
    head = "".join(f"<{name}>{text}</{name}>" for name, text in texts.items() if text is not None)
    return f"{begin}{head}{body}{end}"


def area(inner: str) -> str:
    before, _, rest = INFO.partition("<polygon>")
    return before + inner + rest.partition("</polygon>")[2]
