// Selected trials side by side: what they are called, what they gave, how they compare, which choices differ, and a
// drawing of each network.

const cards = (host, { model, state, pick }) => {
  const rows = state.picked.map((key) => model.byKey.get(key)).filter(Boolean);
  const made = [...model.of('choice'), ...model.of('hyperparameter')];
  const tried = rows.filter((row) => !row.base);
  const differs = new Set(made.filter((dim) => new Set(tried.map((row) => dim.text(row))).size > 1));
  const list = (dims, row) => el('dl', { class: 'pairs' }, dims.filter((dim) => dim.at(row) !== null).map((dim) => el('div', {
    class: rows.length > 1 && differs.has(dim) ? 'differs' : null }, el('dt', {}, dim.name), el('dd', {}, dim.text(row)))));
  const room = Math.max(220, Math.min(host.clientWidth, host.clientWidth / Math.max(1, Math.min(rows.length, Math.floor((host.clientWidth + 14) / 304)))) - 44);
  const drawn = (row) => {
    const picture = network(row, room);
    if (picture) return el('figure', { class: 'drawn' }, picture);
    const nets = row.study.networks;
    return nets && nets.cut && !row.base ? el('p', { class: 'note' }, 'The drawing is left out to keep the page small.') : null;
  };
  host.replaceChildren(...rows.map((row, index) => el('article', { class: 'card', css: { '--hue': PICKS[index] }, 'data-key': row.key },
    el('header', {}, el('span', { class: 'mark', 'aria-hidden': 'true' }, String(index + 1)),
      el('h4', {}, brief(row.label, 160)),
      el('button', { type: 'button', class: 'close', 'aria-label': `deselect ${row.name}`, 'data-focus': `close ${row.key}`, on: { click: () => pick(row) } }, '×')),
    el('p', { class: 'note' }, `${model.studies.length > 1 ? `${row.study.name}, ` : ''}${row.name} · ${row.state}${row.front ? ' · Pareto front' : ''} · ${duration(row.study.seconds[row.i])}`),
    against(model, row).length ? el('p', { class: 'against' }, against(model, row).join(', '), el('span', {}, ' than the baseline')) : null,
    row.note ? el('p', { class: 'note wrap' }, row.note) : null,
    drawn(row),
    list([...model.of('objective'), ...model.of('cost'), ...model.of('metric')], row),
    made.some((dim) => dim.at(row) !== null) ? el('details', { open: rows.length <= 3 }, el('summary', {}, 'Choices and hyperparameters'), list(made, row)) : null,
    el('details', {}, el('summary', {}, 'Architecture as it is stored'), el('p', { class: 'code' }, row.study.key[row.i])))));
};
