// Who has no mouse moves a wide block with the keyboard: it takes the focus when it is wider than its place.
function reach() {
  for (const block of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    block.toggleAttribute("tabindex", false);
    if (block.scrollWidth > block.clientWidth) block.setAttribute("tabindex", "0");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
