// One chart: axes, dots, lines, guides and marks in an SVG; hover, keys and clicks find the nearest point.

const tip = el('div', { class: 'tip', role: 'status', hidden: true });

const niceTicks = (low, high, count, whole) => {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = (whole ? [1, 2, 3, 4, 5, 10] : [1, 2, 2.5, 5, 10]).map((m) => m * power).find((s) => s >= raw * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step && ticks.length < 40; n += 1) ticks.push(Number((n * step).toPrecision(12)));
  return ticks;
};
const logTicks = (low, high) => {
  const ticks = [];
  const decades = Math.log10(high / low);
  const factors = decades < 1.2 ? [1, 2, 3, 5] : decades < 2.6 ? [1, 3] : [1];
  const stride = Math.max(1, Math.ceil(decades / 7));
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p += stride) {
    for (const factor of factors) {
      const value = Number((factor * 10 ** p).toPrecision(6));
      if (value >= low && value <= high) ticks.push(value);
    }
  }
  return ticks;
};

/** Scale of a dimension or of plain numbers between two pixels. */
const scaleOf = (spec, values, from, to, room) => {
  const span = to - from;
  if (spec.cat) {
    const count = spec.options.length;
    const scale = (value) => from + (span * (value + 0.5)) / count;
    const each = Math.abs(span) / count;
    const every = spec.upright ? Math.max(1, Math.ceil(13 / each)) : Math.max(1, Math.ceil(34 / each));
    const letters = spec.upright ? 14 : Math.max(3, Math.floor((each * every) / 6.6));
    return Object.assign(scale, {
      ticks: spec.options.map((_, i) => i).filter((i) => i % every === 0), write: (i) => shorten(spec.options[i], letters),
      invert: (pixel) => ((pixel - from) / span) * count - 0.5,
    });
  }
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  if (!(low <= high)) { low = 0; high = 1; }
  if (spec.zero) low = Math.min(0, low);
  const log = spec.log !== false && low > 0 && high / low > 30;
  const move = log ? Math.log10 : (value) => value;
  let [a, b] = [move(low), move(high)];
  if (a === b) { const pad = log ? 0.3 : Math.abs(a) * 0.05 || 0.5; a -= pad; b += pad; }
  const margin = spec.tight ? 0 : 0.045 * (b - a);
  if (!(spec.zero && low === 0)) a -= margin;
  b += margin;
  const scale = (value) => from + (span * (move(value) - a)) / (b - a);
  const back = (pixel) => { const value = a + ((pixel - from) / span) * (b - a); return log ? 10 ** value : value; };
  let ticks = log ? logTicks(10 ** a, 10 ** b) : niceTicks(a, b, room, spec.whole);
  if (log && ticks.length < 2) ticks = niceTicks(10 ** a, 10 ** b, room, spec.whole);
  return Object.assign(scale, { ticks, write: spec.write || number, invert: back, log });
};

const dotsPath = (points) => points.map((p) => `M${p.px.toFixed(1)} ${p.py.toFixed(1)}h.01`).join('');
const linePath = (points, step) => points.map(([x, y], i) => {
  if (!i) return `M${x.toFixed(1)} ${y.toFixed(1)}`;
  const at = step === 'post' ? `H${x.toFixed(1)}V${y.toFixed(1)}` : step === 'pre' ? `V${y.toFixed(1)}H${x.toFixed(1)}` : null;
  return at || `L${x.toFixed(1)} ${y.toFixed(1)}`;
}).join('');

/**
 * Draws a chart into `host`.
 * spec: { alt, height, x, y, dots: [{items: [{x, y, row, text}], colour, hollow, size, faint}], lines: [{points, colour,
 * step, width, faint, dash}], guides: [{axis, at, text}], rug: [{x, colour, row}], marks: [{x, y, row, index}],
 * base: {x, y, row, text}, describe(item), pick(item) }
 */
const chart = (host, spec) => {
  const width = Math.max(240, Math.floor(host.clientWidth || 480));
  const height = spec.height || 300;
  const every = [...(spec.dots || []).flatMap((d) => d.items), ...(spec.marks || []), ...(spec.base ? [spec.base] : [])];
  const lineValues = (axis) => (spec.lines || []).filter((line) => !line.faint || !every.length)
    .flatMap((line) => line.points.map((p) => p[axis]));
  const xs = [...every.map((p) => p.x), ...lineValues(0), ...(spec.rug || []).map((p) => p.x)];
  const kept = (spec.guides || []).filter((guide) => guide.keep && guide.axis === 'y').map((guide) => guide.at);
  const ys = [...every.map((p) => p.y), ...lineValues(1), ...kept];
  spec.y.upright = true;
  const rough = scaleOf(spec.y, ys, height - 46, 14, 5);
  const widest = Math.max(...rough.ticks.map((t) => rough.write(t).length), 2);
  const box = { left: Math.min(118, 14 + 6.6 * widest), right: width - 14, top: 26, bottom: height - 42 };
  const y = scaleOf(spec.y, ys, box.bottom, box.top, 5);
  const x = scaleOf(spec.x, xs, box.left, box.right, Math.max(2, Math.floor((box.right - box.left) / 78)));
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', tabindex: 0, class: 'chart', 'aria-label': spec.alt });
  const text = (content, attributes) => svg('text', attributes, content);
  for (const tick of y.ticks) {
    root.append(svg('line', { class: 'grid', x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }),
      text(y.write(tick), { class: 'tick', x: box.left - 7, y: y(tick) + 4, 'text-anchor': 'end' }));
  }
  let free = -Infinity;
  for (const tick of x.ticks) {
    root.append(svg('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom }));
    const words = x.write(tick);
    if (x(tick) - words.length * 3.4 > free) {
      root.append(text(words, { class: 'tick', x: x(tick), y: box.bottom + 17, 'text-anchor': 'middle' }));
      free = x(tick) + words.length * 3.4 + 6;
    }
  }
  root.append(text(shorten(spec.y.name, 44), { class: 'axis', x: 2, y: 13 }),
    text(shorten(spec.x.name, 44), { class: 'axis', x: box.right, y: height - 5, 'text-anchor': 'end' }));
  for (const guide of spec.guides || []) {
    const at = (guide.axis === 'x' ? x : y)(guide.at);
    if (!(guide.axis === 'x' ? at >= box.left && at <= box.right : at >= box.top && at <= box.bottom)) continue;
    root.append(svg('line', guide.axis === 'x'
      ? { class: 'guide', x1: at, x2: at, y1: box.top, y2: box.bottom } : { class: 'guide', x1: box.left, x2: box.right, y1: at, y2: at }));
  }
  const clip = (value, a, b) => Math.max(Math.min(a, b), Math.min(Math.max(a, b), value));
  for (const line of spec.lines || []) {
    const points = line.points.map((p) => [clip(x(p[0]), box.left, box.right), clip(y(p[1]), box.top, box.bottom)]);
    root.append(svg('path', { d: linePath(points, line.step), fill: 'none', stroke: line.colour, 'stroke-width': line.width || 1.8,
      'stroke-opacity': line.faint ? 0.22 : 1, 'stroke-dasharray': line.dash, 'stroke-linejoin': 'round' }));
  }
  const near = [];
  for (const group of spec.dots || []) {
    for (const item of group.items) { item.px = x(item.x) + (spec.x.cat ? jitter(item.row) : 0); item.py = y(item.y); near.push(item); }
    const size = group.size || 6;
    const d = dotsPath(group.items);
    root.append(svg('path', { d, class: 'dots', stroke: group.colour, 'stroke-width': size, 'stroke-opacity': group.faint || 1 }));
    if (group.hollow) root.append(svg('path', { d, class: 'dots', stroke: 'var(--surface)', 'stroke-width': size - 2.4 }));
  }
  for (const item of spec.rug || []) {
    item.px = x(item.x); item.py = box.bottom; near.push(item);
    root.append(svg('path', { d: `M${item.px} ${box.bottom - 5}v10`, stroke: item.colour, 'stroke-width': 1.4 }));
  }
  if (spec.base) {
    const item = spec.base; item.px = x(item.x); item.py = y(item.y); near.push(item);
    root.append(svg('path', { class: 'base', d: `M${item.px} ${item.py - 8}l8 8l-8 8l-8 -8z` }),
      text('baseline', { class: 'tick halo', y: item.py + 4,
        ...(item.px > box.right - 66 ? { x: item.px - 12, 'text-anchor': 'end' } : { x: item.px + 12 }) }));
  }
  for (const mark of spec.marks || []) {
    const px = x(mark.x) + (spec.x.cat ? jitter(mark.row) : 0);
    root.append(svg('circle', { class: 'pick', cx: px, cy: y(mark.y), r: 8, fill: PICKS[mark.index] }),
      text(String(mark.index + 1), { class: 'badge', x: px, y: y(mark.y) + 3.6, 'text-anchor': 'middle' }));
  }
  const ring = svg('circle', { class: 'ring', r: 8, visibility: 'hidden' });
  root.append(ring);
  watch(root, near, ring, spec);
  host.replaceChildren(root);
};

/** A small shift that belongs to a row, so that equal options do not hide each other. */
const jitter = (row) => (row ? (((row.number * 2654435761) >>> 8) % 1000) / 1000 * 22 - 11 : 0);

const watch = (root, near, ring, spec) => {
  let current = null;
  const show = (item, pointed) => {
    current = item;
    if (!item) { ring.setAttribute('visibility', 'hidden'); tip.hidden = true; return; }
    ring.setAttribute('cx', item.px); ring.setAttribute('cy', item.py); ring.setAttribute('visibility', 'visible');
    const lines = spec.describe(item);
    tip.replaceChildren(el('b', {}, lines[0]), ...lines.slice(1).filter(Boolean).map((line) => el('span', {}, line)));
    tip.hidden = false;
    const frame = root.getBoundingClientRect();
    const scale = frame.width / root.viewBox.baseVal.width;
    const at = { x: frame.left + item.px * scale, y: frame.top + item.py * scale };
    const size = tip.getBoundingClientRect();
    const left = at.x + 14 + size.width > innerWidth - 8 ? Math.max(8, at.x - 14 - size.width) : at.x + 14;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${Math.max(8, at.y - size.height - 12 < 8 ? at.y + 16 : at.y - size.height - 12)}px`;
    if (pointed) root.classList.toggle('hit', Boolean(spec.pick && item.row));
  };
  const nearest = (event) => {
    const frame = root.getBoundingClientRect();
    const scale = root.viewBox.baseVal.width / frame.width;
    const [mx, my] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    let found = null, least = 26 ** 2;
    for (const item of near) {
      const distance = (item.px - mx) ** 2 + (item.py - my) ** 2;
      if (distance < least) { least = distance; found = item; }
    }
    return found;
  };
  root.addEventListener('pointermove', (event) => show(nearest(event), true));
  root.addEventListener('pointerleave', () => show(null));
  root.addEventListener('blur', () => show(null));
  root.addEventListener('click', (event) => { const item = nearest(event); if (item && item.row && spec.pick) spec.pick(item); });
  root.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && near.length) {
      const ordered = [...near].sort((a, b) => a.px - b.px || a.py - b.py);
      const at = current ? ordered.indexOf(current) : step > 0 ? -1 : 0;
      show(ordered[(at + step + ordered.length) % ordered.length]);
      event.preventDefault();
    } else if ((event.key === 'Enter' || event.key === ' ') && current && current.row && spec.pick) {
      spec.pick(current); event.preventDefault();
    } else if (event.key === 'Escape') show(null);
  });
};
