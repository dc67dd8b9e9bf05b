"""One model, five faces: terminal, JSON, JUnit, one page of HTML, a badge."""
