"""The server is killed, or stopped, while guests text; nothing is lost and nothing doubled."""

from rig import Guests, audit, serving

GUESTS = 8


def test_what_was_acknowledged_survives_kill_9(tmp_path, size):
    with serving(tmp_path) as server:
        with Guests(server, GUESTS) as guests:
            for _ in range(size(3, 200)):
                guests.wait_for(len(guests.acknowledged) + 20)
                server.kill()
                server.start()
        assert guests.surprises == []
        assert audit(server.database, guests.acknowledged) == []
