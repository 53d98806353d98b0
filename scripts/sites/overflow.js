// Return by how many pixels a page is wider than its window, and what sticks out.
() => {
  const width = document.documentElement.clientWidth;
  const excess = document.documentElement.scrollWidth - width;
  if (excess <= 0) return null;
  const clipped = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible") return true;
    }
    return false;
  };
  const wide = [...document.body.querySelectorAll("*")].filter(
    (element) => element.getBoundingClientRect().right > width + 1 && !clipped(element),
  );
  const last = wide.at(-1);
  return [excess, last ? `${last.tagName.toLowerCase()} '${last.textContent.trim().slice(0, 40)}'` : "?"];
};
