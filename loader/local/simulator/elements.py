"""What people touch: web elements with their hierarchy, mobile targets, custom event names."""

from __future__ import annotations

from typing import Final

Row = dict[str, str]


def _element(
    text: str,
    tag: str,
    around: str,
    *,
    name: str = "",
    classes: str = "",
    href: str = "",
    attributes: str = "",
) -> Row:
    """One web element; ``around`` are its ancestors, outermost first."""
    leaf = tag + (f"#{name}" if name else "")
    leaf += "".join(f".{part}" for part in classes.split()) + attributes
    row = {"target_text": text, "target_tag": tag, "hierarchy": f"{around}|{leaf}"}
    row |= {"target_id": name} if name else {}
    row |= {"target_class": classes} if classes else {}
    row |= {"href": href} if href else {}
    return row


def _target(text: str, view: str, name: str, action: str) -> Row:
    """One mobile target."""
    row = {
        "target_view_class": view,
        "target_view_name": name,
        "target_a11y_id": f"{name}-id",
        "action_method": action,
        "hierarchy": f"UIWindow|UIView.container|{view}#{name}",
    }
    return row | ({"target_text": text, "target_a11y_label": text} if text else {})


_NAV = "body|div.header|nav#main.nav"
_MAIN = "body|main.content|section"

CTAS: Final = (
    _element(
        "Start free trial",
        "button",
        "body|main.content|section#plans.grid|div.plan.pro",
        name="cta-pro",
        classes="cta primary",
        attributes="[type=button]",
    ),
    _element(
        "Talk to sales",
        "a",
        "body|main.content|section#plans.grid|div.plan.enterprise",
        classes="cta secondary",
        href="/contact?plan=enterprise",
    ),
)
CLICKS: Final = (
    _element("Pricing", "a", _NAV, classes="nav-link", href="/pricing"),
    _element("Docs", "a", _NAV, classes="nav-link", href="/docs/getting-started"),
    _element("Log in", "a", "body|div.header", name="login-link", classes="button", href="/login"),
    _element("Größe wählen", "button", f"{_MAIN}#sizes", classes="size-picker"),
    _element(
        'Say "hello"',
        "button",
        f"{_MAIN}.chat",
        classes="icon chat",
        attributes="[aria-label=chat]",
    ),
    _element("日本語", "a", "body|div.footer|ul.languages|li", classes="lang", href="/ja/"),
    _element(
        "C:\\temp\\report.csv",
        "a",
        f"{_MAIN}.files|table|tr|td",
        classes="download",
        href="/f?id=1|2",
    ),
    _element(
        "Read more →", "a", f"{_MAIN}.cards|div.card", classes="more", href="/blog/exactly-once"
    ),
    _element("Next\n\tpage", "button", f"{_MAIN}.pager", classes="pager next"),
    _element("🙂 Great!", "button", f"{_MAIN}.survey", classes="smiley"),
    _element("", "div", f"{_MAIN}.hero", classes="overlay"),
    _element("O'Reilly", "a", "body|div.footer", href="https://oreilly.example/?a=b&c='d'"),
)
CHANGES: Final = (
    _element("", "input", "body|main.content|form#signup", name="email", attributes="[type=email]"),
    _element("", "select", "body|main.content|form#checkout", name="country", classes="wide"),
    _element("", "textarea", "body|main.content|form#feedback", name="comment"),
)
SUBMITS: Final = (
    _element("Log in", "form", "body|div.header", name="login", attributes="[method=post]"),
    _element(
        "Create account", "form", "body|main.content", name="signup", attributes="[method=post]"
    ),
    _element("Pay now", "form", "body|main.content", name="checkout", classes="card-form"),
)
TOUCHES: Final = (
    _target("Upgrade", "UIButton", "upgradeButton", "didTapUpgrade:"),
    _target("Add to cart", "UIButton", "addButton", "didTapAdd:"),
    _target("Messages", "UITabBarButton", "messagesTab", "selectTab:"),
    _target("", "UITableViewCell", "inboxCell", "didSelectRow:"),
)
EDITS: Final = (
    _target("", "UITextField", "searchField", "editingChanged:"),
    _target("", "UITextView", "noteView", "textViewDidChange:"),
)
GESTURES: Final = (
    _target("", "UIScrollView", "carousel", "handlePan:"),
    _target("", "MKMapView", "mapView", "handlePinch:"),
)
PURCHASE: Final = "Purchase"
#: Names of custom events; ``PURCHASE`` first.
CUSTOM: Final = (
    {"name": PURCHASE},
    {"name": "Search Performed"},
    {"name": "Video Played"},
    {"name": "Trial Expired → Tag 14"},
    {"name": "intercom.conversation.closed"},
)
