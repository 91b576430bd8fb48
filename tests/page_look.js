// What is wrong with the page that is shown: a list of sentences. Run by page_faults.
(() => {
  const faults = [];
  const said = (element) => `"${element.textContent.trim().slice(0, 60)}"`;
  const root = document.documentElement;
  const wide = Math.max(root.scrollWidth, document.body ? document.body.scrollWidth : 0);
  if (wide > innerWidth) faults.push(`the body is ${wide} wide, the window ${innerWidth}`);

  // Light of a colour, and how well words can be told from what is behind them (WCAG 2).
  const parts = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (parts(color).length === 3 || parts(color)[3] > 0.9) return color;
    }
    return "rgb(255, 255, 255)";
  };

  for (const element of document.querySelectorAll("h1, h2, h3, p, li, dt, dd, th, td, b, span, svg text")) {
    if (!element.textContent.trim()) continue;
    const style = getComputedStyle(element);
    const inPicture = element instanceof SVGElement;
    const color = inPicture ? style.fill : style.color;
    if (contrast(color, behind(element)) < 4.5) faults.push(`pale words: ${said(element)}`);
    const scale = inPicture ? element.getScreenCTM().a : 1;
    const size = parseFloat(style.fontSize) * scale;
    if (size < (inPicture ? 9 : 11)) faults.push(`small words: ${said(element)}, ${size.toFixed(1)} px`);
  }

  for (const cell of document.querySelectorAll("th, td, dd, dt, p, li, h1, h2, h3")) {
    if (cell.scrollWidth > cell.clientWidth + 1) faults.push(`cut words: ${said(cell)}`);
  }
  for (const cell of document.querySelectorAll("td:not(:first-child):not(.words):not(.bar)")) {
    if (!cell.firstChild) continue;
    const range = document.createRange();
    range.selectNodeContents(cell);
    if (range.getClientRects().length > 1) faults.push(`a number in two lines: ${said(cell)}`);
  }
  for (const cell of document.querySelectorAll("td:first-child, td.words")) {
    const letters = cell.textContent.trim().length;
    if (letters > 8 && cell.clientWidth < 80) faults.push(`a narrow column: ${said(cell)}`);
  }

  for (const picture of document.querySelectorAll("svg")) {
    const frame = picture.getBoundingClientRect();
    const words = [...picture.querySelectorAll("text")].map((word) => [word, word.getBoundingClientRect()]);
    for (const [word, place] of words) {
      const inside =
        place.left >= frame.left - 1 && place.right <= frame.right + 1 && place.top >= frame.top - 1 && place.bottom <= frame.bottom + 1;
      if (!inside) faults.push(`words outside their picture: ${said(word)}`);
    }
    words.forEach(([one, a], at) => {
      for (const [other, b] of words.slice(at + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 3) faults.push(`words on words: ${said(one)} and ${said(other)}`);
      }
    });
  }
  return faults;
})();
