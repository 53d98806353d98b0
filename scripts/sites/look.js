// Read off one page what its checks need. Runs in the page; returns plain data.
() => {
  const visible = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const name = (element) => {
    const kind = element.className && element.className.baseVal === undefined ? element.className : "";
    const classes = kind.trim().split(/\s+/).filter(Boolean).slice(0, 2).map((one) => "." + one);
    return element.tagName.toLowerCase() + classes.join("");
  };

  // Colours come as rgb(r, g, b) or rgba(r, g, b, a), or newer as color(srgb r g b / a).
  const parse = (text) => {
    const numbers = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
    const [r, g, b, a = 1] = numbers;
    return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const background = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null; // a picture or gradient: not judged
      const colour = parse(style.backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  // WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large text.
  const pale = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || !visible(element) || element.closest("script, style, noscript, math")) continue;
    const style = getComputedStyle(element);
    const below = background(element);
    if (below === null) continue;
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(over(parse(style.color), below), below);
    const kind = `${name(element)} ${style.color}`; // one of a kind is enough
    if (ratio < (large ? 3 : 4.5) && !pale.has(kind)) {
      pale.set(kind, [name(element), words.slice(0, 40), ratio]);
    }
  }

  return {
    title: document.title,
    theme: document.documentElement.dataset.theme || "",
    brightness: luminance(background(document.body) || [255, 255, 255]),
    links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
    files: [...document.images].map((image) => image.src), // one to be loaded late may never be
    anchors: [...document.querySelectorAll("[id], a[name]")].map((one) => one.id || one.name),
    pictures: [...document.images].map((image) => ({
      source: image.getAttribute("src") || "",
      broken: image.complete && image.naturalWidth === 0,
      nameless: !(image.getAttribute("alt") || "").trim() && !image.closest("[aria-hidden=true]"),
    })),
    pale: [...pale.values()],
  };
};
