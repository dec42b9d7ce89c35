// SPDX-License-Identifier: Apache-2.0
//
// Looks at a page of `ebbctl report --html` in a frame, as it is drawn, and compares it with the
// figures that `ebbctl report --json` gave (`report`). What is wrong stands in #verdict afterwards.
'use strict';

const failures = [];
const expect = (holds, what) => holds || failures.push(what);
const near = (a, b, tolerance) => Math.abs(a - b) <= tolerance;
const secondsOf = time => Date.parse(time) / 1000;
const sum = list => list.reduce((all, one) => all + one, 0);

// Where bytes and times lie on the screen, as the labels of the axes say.
function scalesOf(figure) {
  const plane = figure.querySelector('svg').getBoundingClientRect();
  const marks = [...figure.querySelectorAll('.ys span')].map(mark => {
    const box = mark.getBoundingClientRect();
    return {value: Number(mark.dataset.value), at: (box.top + box.bottom) / 2, box};
  });
  expect(marks.length >= 3, `${figure.id}: ${marks.length} labels of bytes`);
  for (const mark of marks) expect(mark.box.left >= 0, `${figure.id}: a label is off the page`);
  const [first, last] = [marks[0], marks[marks.length - 1]];
  const pixels = (last.at - first.at) / (last.value - first.value);
  expect(near(first.at, plane.bottom, 1), `${figure.id}: zero is not at the bottom`);
  const from = Number(figure.dataset.from), to = Number(figure.dataset.to);
  const x = seconds => plane.left + (seconds - from) / (to - from) * plane.width;
  for (const mark of figure.querySelectorAll('.xs span:not(.first):not(.last)')) {
    if (!mark.offsetParent) continue;
    const box = mark.getBoundingClientRect();
    expect(near((box.left + box.right) / 2, x(Number(mark.dataset.value)), 1.5),
      `${figure.id}: the label ${mark.textContent} is not at its time`);
  }
  return {x, y: bytes => first.at + bytes * pixels, pixels: -pixels, plane};
}

function isIn(path, x, y) {
  const point = path.ownerSVGElement.createSVGPoint();
  point.x = x;
  point.y = y;
  return path.isPointInFill(point.matrixTransform(path.getScreenCTM().inverse()));
}

function valueAt(point, name, drawn) {
  const bytes = list => sum(list.map(one => one.bytes));
  if (name === 'outside of units') return point.bytes_outside;
  if (name === 'trash') return point.bytes_trash;
  if (name === 'other classes') return bytes(point.classes.filter(c => !drawn.includes(c.name)));
  const one = point.classes.find(c => c.name === name);
  if (drawn.includes(name)) return one ? one.bytes : 0;
  return Math.max(0,
    point.bytes_used - point.bytes_outside - point.bytes_trash - bytes(point.classes));
}

function checkUsage(figure, history) {
  const paths = [...figure.querySelectorAll('path')];
  const names = paths.map(path => path.dataset.name);
  const classes = new Set(history.points.flatMap(point => point.classes.map(c => c.name)));
  const drawn = names.filter(name => classes.has(name));
  const {x, y, pixels, plane} = scalesOf(figure);
  let compared = 0, crowded = 0;
  history.points.forEach((point, i) => {
    const time = secondsOf(point.time);
    // Of several within some pixels, as in a history of seconds, none can be told from the others.
    if (history.points.some(other => other !== point && near(x(secondsOf(other.time)), x(time), 4))) {
      crowded++;
      return;
    }
    const neighbour = history.points[i > 0 ? i - 1 : 1];
    const alone = Math.abs(secondsOf(neighbour.time) - time) > 2 * history.step_seconds;
    if (alone) return;
    // Not on the very edge.
    const at = Math.min(Math.max(x(time), plane.left + 0.3), plane.right - 0.3);
    let below = 0;
    paths.forEach((path, s) => {
      const value = valueAt(point, names[s], drawn);
      if (value * pixels >= 5) {
        const middle = y(below + value / 2);
        expect(isIn(path, at, middle), `usage: ${names[s]} is not where it was at ${point.time}`);
        expect(!paths.some(other => other !== path && isIn(other, at, middle)),
          `usage: something covers ${names[s]} at ${point.time}`);
        compared++;
      }
      below += value;
    });
    expect(!paths.some(path => isIn(path, at, y(below) - 3)), `usage: more than was at ${point.time}`);
  });
  const apart = history.points.length - crowded;
  expect(compared >= apart / 2, `usage: only ${compared} values were compared`);
  const high = figure.querySelector('line.high');
  if (high) {
    expect(near(high.getBoundingClientRect().top, y(history.bytes_high), 1.5), 'usage: high mark');
  }
  expect(names.length === figure.querySelectorAll('.legend span').length, 'usage: legend');
}

function checkBars(figure, series, total) {
  const {pixels} = scalesOf(figure);
  const bars = [...figure.querySelectorAll('rect[data-name]')];
  for (const [name, bytes] of Object.entries(series)) {
    const own = bars.filter(bar => bar.dataset.name === name);
    const drawn = sum(own.map(bar => bar.getBoundingClientRect().height)) / pixels;
    expect(near(drawn, bytes, bytes * 0.02 + own.length / pixels),
      `${figure.id}: ${name} is drawn as ${Math.round(drawn)}, not ${bytes}`);
  }
  const all = sum(bars.map(bar => bar.getBoundingClientRect().height)) / pixels;
  expect(near(all, total, total * 0.02 + bars.length / pixels),
    `${figure.id}: ${Math.round(all)} is drawn, not ${total}`);
}

function luminance(color) {
  const parts = color.match(/[\d.]+/g).slice(0, 3).map(Number).map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}

function checkReadable(page) {
  const view = page.defaultView, root = page.documentElement;
  expect(root.scrollWidth <= root.clientWidth, `it is ${root.scrollWidth - root.clientWidth} too wide`);
  const background = luminance(view.getComputedStyle(page.body).backgroundColor);
  for (const element of page.querySelectorAll('h1,h2,p,td,th,span,b,summary,footer')) {
    if (!element.textContent.trim() || !element.offsetParent) continue;
    const style = view.getComputedStyle(element);
    const own = luminance(style.color);
    const contrast = (Math.max(own, background) + 0.05) / (Math.min(own, background) + 0.05);
    expect(contrast >= 4.5, `"${element.textContent.slice(0, 20)}" has a contrast of ${contrast}`);
    expect(parseFloat(style.fontSize) >= 12, `"${element.textContent.slice(0, 20)}" is too small`);
  }
}

function check(page) {
  const {history, explain, quotas, status} = report;
  expect(!page.querySelector('script,link,img,iframe,object,[src],[href]'), 'it loads something');
  expect(page.querySelector('meta[http-equiv]').content.startsWith("default-src 'none'"), 'CSP');
  expect(page.querySelector('h1').textContent === status.mount, 'the mount');
  checkReadable(page);
  checkUsage(page.getElementById('usage'), history);
  const removed = {};
  for (const slice of history.points.flatMap(point => point.removed)) {
    if (slice.bytes > 0) removed[slice.name] = (removed[slice.name] || 0) + slice.bytes;
  }
  if (Object.keys(removed).length > 0) {
    checkBars(page.getElementById('removals'), removed, sum(Object.values(removed)));
  } else {
    expect(!page.getElementById('removals'), 'removals are drawn that there were not');
  }
  const due = sum(history.forecast.map(hour => hour.bytes));
  if (due > 0) {
    const figure = page.getElementById('forecast');
    checkBars(figure, {}, due);
    const hours = [...figure.querySelectorAll('g[data-bar]')].map(bar => Number(bar.dataset.bar));
    const want = history.forecast.flatMap((hour, i) => hour.bytes > 0 ? [i] : []);
    expect(hours.join() === want.join(), `forecast: bars at ${hours}, not ${want}`);
  }
  const text = page.body.textContent;
  const named = [...explain.users, ...explain.jobs, ...explain.classes].map(one => one.name);
  const limited = quotas.filter(one => one.percent !== null).slice(0, 20).map(one => one.scope);
  for (const name of [...named, ...limited, ...explain.verdict]) {
    expect(text.includes(name), `it does not name ${name}`);
  }
}

addEventListener('load', () => {
  try {
    check(document.querySelector('iframe').contentDocument);
  } catch (error) {
    failures.push(error.stack);
  }
  document.getElementById('verdict').textContent =
    failures.length ? failures.slice(0, 20).join('\n') : 'all is as it should be';
});
