// One network as boxes and arrows: a chain in rows, any other graph in layers from top to bottom.

const network = (row, room) => {
  const nets = row.study.networks;
  const net = nets && !row.base ? nets.nets[nets.of[row.i]] : undefined;
  if (net === undefined) return null;
  if (typeof net === 'string') return el('p', { class: 'note wrap' }, net);
  const [at, places] = net;
  const plan = nets.plans[at];
  const labels = places.map((place) => nets.labels[place]);
  const [letter, high, gap, margin] = [6.1, 26, 16, 4];
  const wide = Math.max(54, ...labels.map(([label]) => label.length * letter + 14));
  const chain = typeof plan === 'number';
  const columns = Math.max(1, Math.min(labels.length, Math.floor((room - 2 * margin + gap) / (wide + gap))));
  const [right, down] = chain ? [wide + gap, high + gap] : [wide + 14, high + 22];
  const centre = ([along, across]) => [margin + wide / 2 + across * right, margin + high / 2 + along * down];
  const centres = chain ? labels.map((_, i) => centre([Math.floor(i / columns), i % columns])) : plan[0].map(centre);
  const edges = chain ? labels.slice(1).map((_, i) => [i, i + 1]) : plan[1];
  const paths = edges.map(([from, to], index) => {
    const [[a, b], [c, d]] = [centres[from], centres[to]];
    if (chain && b === d) return `M${a + wide / 2} ${b}H${c - wide / 2 - 1}`;
    if (chain) return `M${a} ${b + high / 2}V${b + high / 2 + gap / 2}H${c}V${d - high / 2 - 1}`;
    let path = `M${a} ${b + high / 2}`, [x, y] = [a, b + high / 2];
    const bend = (to_, end) => { path += `C${x} ${(y + end) / 2} ${to_} ${(y + end) / 2} ${to_} ${end}`; [x, y] = [to_, end]; };
    for (const [via, level] of plan[2][index].map(centre)) { bend(via, level - high / 2); path += `V${level + high / 2}`; y = level + high / 2; }
    bend(c, d - high / 2 - 1);
    return path;
  });
  const reach = chain ? centres : [...centres, ...plan[2].flat().map(centre)];
  const width = Math.max(...reach.map(([x]) => x)) + wide / 2 + margin;
  const height = Math.max(...reach.map(([, y]) => y)) + high / 2 + margin;
  const name = `arrow-${row.key.replace(/\W/g, '-')}`;
  const counts = new Map();
  for (const [label] of labels) counts.set(label, (counts.get(label) || 0) + 1);
  const said = `${plural(labels.length, 'node')} and ${plural(edges.length, 'edge')}: ${[...counts].map(([label, count]) => `${count} × ${label}`).join(', ')}`;
  return el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Drawing of ${row.name}` },
    svg('svg', { class: 'wiring', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': said },
      svg('defs', {}, svg('marker', { id: name, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' }, svg('path', { class: 'head', d: 'M0 .5L8 4L0 7.5z' }))),
      paths.map((d) => svg('path', { class: 'edge', d, 'marker-end': `url(#${name})` })),
      labels.map(([label, hue], i) => svg('g', { css: { '--box': `var(--${hue})` } },
        svg('rect', { x: centres[i][0] - wide / 2, y: centres[i][1] - high / 2, width: wide, height: high, rx: 6 }),
        svg('text', { x: centres[i][0], y: centres[i][1] }, label)))));
};
