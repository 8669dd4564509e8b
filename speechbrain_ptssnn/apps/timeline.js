"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const audio = document.querySelector("audio");
  const rows = [...document.querySelectorAll("[data-end]")].map((element) => ({
    element,
    cursor: element.querySelector(".cursor"),
    start: Number(element.dataset.start),
    end: Number(element.dataset.end),
  }));
  const bars = [...document.querySelectorAll(".bars")].map((each) => [
    ...each.querySelectorAll(".bar"),
  ]);
  const follow = document.getElementById("follow");
  const time = document.getElementById("clock");
  let current = null;

  function clock(seconds) {
    const ticks = Math.round(seconds * 10);
    const s = Math.floor(ticks / 10);
    const two = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(s / 60);
    const text = minutes < 60
      ? minutes
      : `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
    return `${text}:${two(s % 60)}.${ticks % 10}`;
  }

  // The step at a time, by bisection; the steps are sorted.
  function find(steps, t) {
    let low = 0;
    let high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle][1] > t) high = middle;
      else low = middle + 1;
    }
    const step = steps[low];
    return step && step[0] <= t ? step : null;
  }

  function show(t) {
    time.textContent = clock(t);
    for (const row of rows) {
      const isLast = row.end >= data.seconds;
      const isHere = t >= row.start && (t < row.end || isLast);
      row.element.classList.toggle("on", isHere);
      if (!isHere) continue;
      const part = Math.min(1, (t - row.start) / (row.end - row.start || 1));
      row.cursor.style.left = `${100 * part}%`;
      if (!row.element.classList.contains("lanes") || row === current) continue;
      current = row;
      if (follow.checked && !audio.paused) {
        row.element.scrollIntoView({ block: "nearest" });
      }
    }
    bars.forEach((cells, k) => {
      const step = find(data.tracks[k], t);
      cells.forEach((cell, n) => {
        const p = step ? step[3 + n] : null;
        cell.style.setProperty("--p", p === null ? 0 : p / 100);
        cell.querySelector("small").textContent = p === null ? "–" : p;
        cell.classList.toggle("best", step !== null && step[2] === n);
      });
    });
  }

  function jump(t) {
    const there = Math.min(Math.max(0, t), data.seconds);
    audio.currentTime = there;
    show(there);
  }

  function run() {
    show(audio.currentTime);
    if (!audio.paused) requestAnimationFrame(run);
  }
  audio.addEventListener("play", run);
  for (const name of ["pause", "seeked", "timeupdate", "ended"]) {
    audio.addEventListener(name, () => show(audio.currentTime));
  }
  const tell = () => {
    document.getElementById("unheard").hidden = false;
  };
  audio.addEventListener("error", tell);
  if (audio.error) tell();
  document.getElementById("heat").addEventListener("change", (event) => {
    document.body.classList.toggle("plain", !event.target.checked);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-time]");
    const row = event.target.closest("[data-end]");
    // A key that presses a button comes as a click without a place.
    if (button && (!row || event.detail === 0)) {
      jump(Number(button.dataset.time));
    } else if (row) {
      const box = row.getBoundingClientRect();
      const part = (event.clientX - box.left) / box.width;
      const start = Number(row.dataset.start);
      jump(start + part * (Number(row.dataset.end) - start));
    }
  });

  // One stop of the Tab key; arrows go from segment to segment.
  const segments = [...document.querySelectorAll("#rows button:not([aria-hidden])")];
  if (segments.length) segments[0].tabIndex = 0;
  document.getElementById("rows").addEventListener("keydown", (event) => {
    const at = segments.indexOf(event.target);
    const to = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: segments.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = segments[Math.min(Math.max(0, to), segments.length - 1)];
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  show(0);
})();
