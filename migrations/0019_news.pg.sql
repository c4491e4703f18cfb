-- Nodes keep what there is of these in memory, too: they are told when that changes, and not of how deliveries went.
CREATE TRIGGER aerie_notify AFTER INSERT OR DELETE OR UPDATE OF events, is_active ON webhooks
    FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');
CREATE TRIGGER aerie_notify AFTER INSERT OR DELETE OR UPDATE ON budgets FOR EACH ROW EXECUTE FUNCTION aerie_notify('team_id');

-- down
DROP TRIGGER aerie_notify ON budgets;
DROP TRIGGER aerie_notify ON webhooks;
