// Starts the page; where a server follows a running search, takes over each new state that it announces.

const readData = (page) => JSON.parse(page.getElementById('data').textContent);

const follow = () => {
  const pill = document.getElementById('live');
  const say = (words, kind) => { pill.textContent = words; pill.dataset.kind = kind; };
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch('/', { cache: 'no-store' });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const open = new Set([...document.querySelectorAll('[data-part] details[open] > summary')].map((node) => node.textContent));
      for (const fresh of page.querySelectorAll('[data-part]')) {
        const old = document.querySelector(`[data-part="${fresh.dataset.part}"]`);
        if (!old) continue;
        for (const node of fresh.querySelectorAll('summary')) if (open.has(node.textContent)) node.parentNode.open = true;
        old.replaceWith(document.adoptNode(fresh));
      }
      document.title = page.title;
      app.update(readData(page));
      say(`live · updated ${new Date().toLocaleTimeString('en-GB')}`, 'on');
    } catch {
      say('the server does not answer', 'off');
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  };
  const events = new EventSource('/events');
  let known = document.body.dataset.revision;
  events.addEventListener('revision', (event) => {
    if (event.data === known) { if (pill.dataset.kind !== 'on') say('live', 'on'); return; }
    known = event.data; refresh();
  });
  events.addEventListener('error', () => say('connection lost, trying again', 'off'));
  events.addEventListener('open', () => say('live', 'on'));
  addEventListener('pagehide', () => events.close());
};

app.start(readData(document));
if (document.body.dataset.live === 'yes') follow();
