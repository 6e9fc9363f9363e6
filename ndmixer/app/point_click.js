// Tells which point of a figure was clicked. Streamlit hears of clicks on flat figures alone; of
// those in space only Plotly itself does, at the element that it drew into.
const LOOK = 300; // milliseconds; Streamlit draws a figure anew into another element

export default function (component) {
  const { data, setTriggerValue } = component;
  const told = ({ points }) => setTriggerValue("row", points[0].customdata);
  let heard = null;
  const listen = () => {
    const plot = document.querySelector(`.st-key-${data.figure} .js-plotly-plot`);
    if (plot === heard || !plot?.on) return;
    plot.on("plotly_click", told);
    heard = plot;
  };
  const timer = setInterval(listen, LOOK);
  listen();
  return () => {
    clearInterval(timer);
    heard?.removeListener?.("plotly_click", told);
  };
}
