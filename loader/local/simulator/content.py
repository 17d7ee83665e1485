"""What the web and the mobile app consist of: pages, elements, devices, places, campaigns.

Fixed lists only. They hold what breaks careless loaders: quotes, backslashes, emoji, several
scripts, separators of other formats, values longer than their column.
"""

from __future__ import annotations

from typing import Final

Row = dict[str, str]

DOMAIN: Final = "www.acme.example"
APP_DOMAIN: Final = "app.acme.example"
LONG_TEXT: Final = "größe-日本-🙂-" * 120

_WEB_BROWSERS: Final = (
    ("Mac OS X 10.15.7", "Desktop", "Chrome 126.0.0"),
    ("Mac OS X 14.5", "Desktop", "Safari 17.5"),
    ("Windows 10", "Desktop", "Chrome 126.0.0"),
    ("Windows 11", "Desktop", "Edge 125.0.2535"),
    ("Windows 11", "Desktop", "Firefox 127.0"),
    ("Linux", "Desktop", "Firefox 115.12"),
    ("iOS 17.5.1", "Mobile", "Mobile Safari 17.5"),
    ("Android 14", "Mobile", "Chrome Mobile 125.0.6422"),
    ("iPadOS 17.5", "Tablet", "Mobile Safari 17.5"),
)
_PHONES: Final = (
    ("ios", "iOS 17.5.1", "Mobile", "iPhone 15 Pro"),
    ("ios", "iOS 16.7.8", "Mobile", "iPhone 11"),
    ("ios", "iPadOS 17.5", "Tablet", 'iPad Pro 12.9"'),
    ("android", "Android 14", "Mobile", "Pixel 8"),
    ("android", "Android 13", "Mobile", "SM-A546B"),
    ("android", "Android 12", "Mobile", "Redmi Note 10 Pro"),
)
_CARRIERS: Final = ("Vodafone", "T-Mobile", "AT&T", "Orange", "中国移动", "")
_VERSIONS: Final = ("4.12.0", "4.12.1", "4.13.0-beta.2")

#: Devices: web first, then phones. Rows ``[0, WEB_DEVICES)`` are web.
DEVICES: Final[tuple[Row, ...]] = (
    *(
        {"library": "web", "platform": platform, "device_type": kind, "browser": browser}
        for platform, kind, browser in _WEB_BROWSERS
    ),
    *(
        {
            "library": library,
            "platform": platform,
            "device_type": kind,
            "device": device,
            "app_name": "Acme Mobile",
            "app_version": version,
        }
        | ({"carrier": carrier} if carrier else {})
        for library, platform, kind, device in _PHONES
        for carrier in _CARRIERS
        for version in _VERSIONS
    ),
)
WEB_DEVICES: Final = len(_WEB_BROWSERS)

PLACES: Final[tuple[Row, ...]] = tuple(
    {name: value for name, value in zip(("country", "region", "city"), place, strict=True) if value}
    for place in (
        ("United States", "California", "San Francisco"),
        ("United States", "New York", "New York"),
        ("United States", "Texas", "Austin"),
        ("United Kingdom", "England", "London"),
        ("Germany", "Bayern", "München"),
        ("Germany", "Berlin", "Berlin"),
        ("France", "Île-de-France", "Paris"),
        ("Brazil", "São Paulo", "São Paulo"),
        ("Japan", "東京都", "千代田区"),
        ("India", "Karnataka", "Bengaluru"),
        ("Côte d'Ivoire", "Abidjan", "Abidjan"),
        ("Australia", "New South Wales", "Sydney"),
        ("Netherlands", "Noord-Holland", "'s-Hertogenbosch"),
        ("Poland", "Łódzkie", "Łódź"),
        ("Singapore", "", "Singapore"),
        ("", "", ""),
    )
)

REFERRERS: Final[tuple[Row, ...]] = tuple(
    {"referrer": url} if url else {}
    for url in (
        "",
        "https://www.google.com/",
        "https://www.bing.com/search?q=stream+loader&form=QBLH",
        "https://duckduckgo.com/",
        "https://news.ycombinator.com/item?id=40912345",
        "https://www.linkedin.com/feed/",
        "https://t.co/Xy12aB",
        "https://partner.example/list?x=1|2&y=%22quoted%22",
    )
)

_CAMPAIGNS: Final = (
    ("google", "cpc", "brand_2024", "acme loader", "headline_a"),
    ("google", "cpc", "competitor", "heap alternative", "headline_b"),
    ("linkedin", "paid_social", "Q3 → launch", "", "video"),
    ("newsletter", "email", "weekly #42", "", "footer"),
    ("partner", "referral", "co-marketing", "", ""),
    ("twitter", "social", 'the "big" one', "", "🚀"),
)
CAMPAIGNS: Final[tuple[Row, ...]] = (
    {},
    *(
        {
            name: value
            for name, value in (
                ("utm_source", source),
                ("utm_medium", medium),
                ("utm_campaign", campaign),
                ("utm_term", term),
                ("utm_content", content),
            )
            if value
        }
        for source, medium, campaign, term, content in _CAMPAIGNS
    ),
    {"search_keyword": "kafka to redshift"},
)

#: Path, title, share of views.
_PAGES: Final = (
    ("/", "Acme · Home", 0.22),
    ("/pricing", "Pricing | Acme", 0.14),
    ("/features", "Features | Acme", 0.10),
    ("/docs/getting-started", "Getting started", 0.07),
    ("/docs/api/reference", "API reference", 0.06),
    ("/blog", "Blog", 0.06),
    ("/blog/exactly-once", 'Exactly once, or: how I stopped "worrying"', 0.05),
    ("/blog/grüße-aus-köln", "Grüße aus Köln", 0.02),
    ("/login", "Log in", 0.07),
    ("/signup", "Sign up", 0.05),
    ("/checkout", "Checkout", 0.04),
    ("/account/settings", "Settings", 0.04),
    ("/app/dashboard", "Dashboard", 0.05),
    ("/search", "Search", 0.03),
)
_QUERIES: Final = (
    "",
    "",
    "",
    "?utm_source=google&utm_medium=cpc",
    "?ref=nav&v=2",
    "?q=%E2%9C%93%20caf%C3%A9&page=3",
    "?plan=pro&billing=annual",
    "?x='; drop table users; --",
)
_HASHES: Final = ("", "", "#plans", "#faq")


def _page(path: str, title: str, query: str, fragment: str) -> Row:
    row = {
        "domain": APP_DOMAIN if path.startswith(("/app", "/account")) else DOMAIN,
        "path": path,
        "title": title,
    }
    if query:
        row["query"] = query
    if fragment:
        row["hash"] = fragment
    return row


#: Row 0 is "no page"; the last two hold texts longer than their columns.
PAGES: Final[tuple[Row, ...]] = (
    {},
    *(
        _page(path, title, query, fragment)
        for path, title, _ in _PAGES
        for query in _QUERIES
        for fragment in _HASHES
    ),
    _page("/search", "Search", "?q=" + LONG_TEXT, ""),
    _page("/search", LONG_TEXT, "", "#" + LONG_TEXT),
)
#: Share of views of each row of ``PAGES``; the long ones are rare.
PAGE_WEIGHTS: Final[tuple[float, ...]] = (
    0.0,
    *(
        weight / (len(_QUERIES) * len(_HASHES))
        for _, _, weight in _PAGES
        for _ in range(len(_QUERIES) * len(_HASHES))
    ),
    0.0005,
    0.0005,
)

#: The landing page of a session that began on the page of the same row.
LANDINGS: Final[tuple[Row, ...]] = tuple(
    {}
    if not page
    else {"landing_page": f"https://{page['domain']}{page['path']}"}
    | ({"landing_page_query": page["query"]} if "query" in page else {})
    | ({"landing_page_hash": page["hash"]} if "hash" in page else {})
    for page in PAGES
)
#: The page before, for a view that followed the page of the same row.
PREVIOUS: Final[tuple[Row, ...]] = tuple(
    {"heap_previous_page": page["path"]} if page else {} for page in PAGES
)

#: Row 0 is "no screen".
SCREENS: Final[tuple[Row, ...]] = (
    {},
    *(
        {
            "view_controller": f"Acme.{name}ViewController",
            "screen_a11y_id": f"screen-{name.lower()}",
            "screen_a11y_label": label,
        }
        for name, label in (
            ("Home", "Home"),
            ("Pricing", "Plans & prices"),
            ("Checkout", "Checkout"),
            ("Profile", "Mein Profil"),
            ("Inbox", "受信トレイ"),
            ("Settings", "Settings"),
        )
    ),
)
