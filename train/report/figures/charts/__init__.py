"""The shapes that figures take, as altair makes them: loaded where something is drawn, for it is an extra."""
