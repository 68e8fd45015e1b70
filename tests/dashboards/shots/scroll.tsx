// In place of a library that looks for React's old ways: a picture does not scroll.
import { forwardRef } from "react";

export const Scrollbars = forwardRef<HTMLDivElement, any>((props, ref) => (
  <div ref={ref} style={{ overflow: "hidden", height: "100%" }}>
    {props.children}
  </div>
));
export default Scrollbars;
